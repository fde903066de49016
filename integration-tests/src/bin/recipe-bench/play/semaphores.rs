//! The semaphore: permits for three.

use zk_recipes::Semaphore;

use super::order::Order;
use crate::Failure;

const PERMITS: u32 = 3;

pub(super) async fn acquire(order: &Order) -> Result<(), Failure> {
    let turn = |semaphore: Semaphore, _| async move {
        semaphore.acquire().await?.release().await?;
        Ok(())
    };
    order.repeat(|zk, _| Semaphore::new(zk, order.path.as_str(), PERMITS), turn).await
}
