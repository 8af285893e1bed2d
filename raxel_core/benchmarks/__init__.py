"""Speed, measured against others in the same process: `geometry` on the CPU."""
