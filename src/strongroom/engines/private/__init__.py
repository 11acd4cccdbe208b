"""Private certificates, issued by authorities of this instance."""
