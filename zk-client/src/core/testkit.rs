//! A core with a scripted server beside it.
