"""Filmed scenes with known cameras, as data sets have them: finding, checking, sampling and measuring them."""
