//! The atomic number, incremented.

use zk_recipes::{AtomicI64, Error};

use super::order::Order;
use crate::Failure;

pub(super) async fn increment(order: &Order) -> Result<(), Failure> {
    let turn = |number: AtomicI64, _| async move {
        loop {
            match number.increment().await {
                // Counts only when it has happened.
                Err(Error::Conflict { .. }) => {}
                done => return Ok(done.map(drop)?),
            }
        }
    };
    order.repeat(|zk, _| AtomicI64::new(zk, format!("{}/n", order.path)), turn).await
}
