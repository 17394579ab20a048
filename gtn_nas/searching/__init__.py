"""One search: a strategy proposes candidates; they are evaluated and ranked, the best trained."""
