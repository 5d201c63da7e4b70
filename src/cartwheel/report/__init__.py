"""What people see: figures, pages, and the live table. matplotlib and rich live here."""
