//! Dialling a server.
