"""The trial of one subject: scenarios are run, and the rules that they break are confirmed."""
