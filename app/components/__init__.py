"""Components written for this app: inline JavaScript, no build step, no requests to other machines."""
