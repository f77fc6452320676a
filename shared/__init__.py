"""What every service of Quartermaster stands on, and the language they speak to each other."""
