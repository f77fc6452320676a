"""What a machine has to give: processors, memory, accelerators, and how busy they are."""
