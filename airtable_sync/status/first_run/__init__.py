"""What is left to do until the first call: the checklist on the status page, and the test call."""
