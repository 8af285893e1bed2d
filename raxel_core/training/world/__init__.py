"""Places like the world's: many solids under skies or ceilings, photo-like surfaces, cameras as people move them."""
