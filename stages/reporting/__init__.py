"""The report: numbers, words, figures and the page."""
