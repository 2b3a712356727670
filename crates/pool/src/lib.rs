//! Leases on ready instances by an opaque key; carries out the supervisor's decisions. Does not know who the client is.
