"""How networks are trained: one loop, and the pure pieces it is made of."""
