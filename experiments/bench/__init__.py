"""Speed: ratios measured side by side in one run."""
