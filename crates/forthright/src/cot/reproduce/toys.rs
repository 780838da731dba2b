//! Closed-form toys, and the diagnosis by the nearest signature.
