"""The script that runs inside a user's scheduler; text to the operator, which never imports it."""
