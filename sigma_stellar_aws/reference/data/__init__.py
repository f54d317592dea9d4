"""Tables that ship with this project, and what makes them; README.md says where each comes from."""
