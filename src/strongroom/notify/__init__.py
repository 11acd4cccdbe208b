"""What sends notices: webhooks, e-mail, chat services."""
