"""Live sessions for operators: who is connected, where somebody is, and to have somebody come again."""
