"""Who looks after Siftly is told of trouble, once, and once when it is over, by e-mail or to a
webhook address: without any other service. `facts` are gathered and judged (`health_rules`),
`troubles` words them, `told` remembers over all processes what was said, `sending` says it,
`rounds` does so every minute."""
