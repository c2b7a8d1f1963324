"""Running a bundle: sessions, scoring, Grad-CAM. One implementation for worker, evaluation and export gates."""
