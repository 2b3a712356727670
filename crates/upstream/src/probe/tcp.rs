//! The probe `tcp`: the address accepts a connection.

use mainstay_supervisor::probe::Outcome;

use super::address::Address;
use super::late::Late;

/// Opens a connection and closes it. Nothing is sent or read.
///
/// # Errors
/// When the connection is not accepted.
pub(super) async fn check(address: &Address, late: &Late) -> Result<(), Outcome> {
    address.connect(late).await.map(drop)
}
