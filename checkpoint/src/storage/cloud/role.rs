//! Credentials that a machine is given by a service, which may not be there.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;

/// A provider whose failure is told as one of credentials: else it reads as if the store had failed.
pub(super) struct Role<C>(pub(super) Arc<dyn CredentialProvider<Credential = C>>);

impl<C> fmt::Debug for Role<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Role")
    }
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync + 'static> CredentialProvider for Role<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        self.0.get_credential().await.map_err(|error| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(error),
        })
    }
}
