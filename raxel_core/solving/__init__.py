"""The cameras of real footage: structure from motion by COLMAP, with still cameras and pure rotation told apart."""
