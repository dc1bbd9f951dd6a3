"""From measurements to a paper's figures; nothing here trains or attacks."""
