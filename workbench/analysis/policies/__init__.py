"""What is inside a policy, checked by what it earns."""
