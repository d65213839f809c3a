"""The kit for those who test array code: it comes after the workflows, and alone names pytest."""
