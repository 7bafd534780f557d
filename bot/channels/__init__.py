"""Ways to a WeChat account. Each channel speaks `port.Channel`; nothing of a vendor passes it."""
