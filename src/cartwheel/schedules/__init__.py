"""Schedules: configs over episodes, how to find, fit, read and write them."""
