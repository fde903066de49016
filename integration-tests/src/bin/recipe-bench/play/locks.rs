//! The lock, free and handed on.

use zk_recipes::Lock;

use super::order::Order;
use crate::Failure;

pub(super) async fn lock(order: &Order) -> Result<(), Failure> {
    let turn = |lock: Lock, _| async move {
        lock.acquire().await?.release().await?;
        Ok(())
    };
    order.repeat(|zk, _| Lock::new(zk, order.path.as_str()), turn).await
}

pub(super) async fn try_lock(order: &Order) -> Result<(), Failure> {
    let turn = |lock: Lock, _| async move {
        lock.try_acquire().await?.ok_or("not free")?.release().await?;
        Ok(())
    };
    order.repeat(|zk, _| Lock::new(zk, order.path.as_str()), turn).await
}
