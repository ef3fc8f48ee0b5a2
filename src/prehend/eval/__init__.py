"""How good an answer is: measures, the papers' protocols, and reports in their tables' layout."""
