"""John Doe, a customer in the sandbox's sample base, in both layouts."""

NUMBER = "+32460234291"
JOHN = {
    "customer_name": "John Doe",
    "preferred_language": "Dutch",
    "account_type": "premium",
    "nl-be_agent_name": "Tom",
}
