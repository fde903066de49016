//! The lock and the read/write lock, free and handed on.

use zk_recipes::{Lock, RwLock};

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

/// One turn in ten writes, of different clients at different turns.
pub(super) async fn rw(order: &Order) -> Result<(), Failure> {
    let turn = |(lock, who): (RwLock, usize), turn| async move {
        if (turn + who) % 10 == 0 {
            lock.write().await?.release().await?;
        } else {
            lock.read().await?.release().await?;
        }
        Ok(())
    };
    order.repeat(|zk, who| (RwLock::new(zk, order.path.as_str()), who), turn).await
}
