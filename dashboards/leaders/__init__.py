"""The pages of leaders: all indicators by theme, and one page an indicator."""
