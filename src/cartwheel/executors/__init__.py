"""Where work items run. The simplest executor defines the interface."""
