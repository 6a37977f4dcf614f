"""PURE. What a flow may say (`language`), and what the bot does by it: deciding, and deciding again."""
