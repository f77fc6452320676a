"""The console's catalogues: `<language>/LC_MESSAGES/console.po` and what is compiled from it."""
