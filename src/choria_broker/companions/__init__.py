"""What runs beside the network broker, or without one."""
