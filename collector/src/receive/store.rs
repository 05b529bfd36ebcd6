//! From a payload to its answer: decode, append, settle the ledger.
//!
//! *Invariants:* each row that was counted as received gets exactly one outcome, also when the decoder or the store
//! panics. Retryable answers count as refused, final ones as rejected, as in interface.md ("Ledger").

use std::sync::Arc;

use model::ledger::Account;
use model::{Batch, Decoded, Encoding, Error, Payload};

use crate::admit::Permit;
use crate::answer::{Refusal, Taken};
use crate::receive::Pipeline;
use crate::stats::Protocol;

/// Uncompressed bodies up to this are decoded where they were read: that takes about 0.3 ms, less than a runtime
/// thread may be held, and saves two switches of thread. A compressed body of any size may be a bomb.
const INLINE: usize = 32 << 10;

impl Pipeline {
    /// Runs to its end even if the caller is dropped.
    pub(super) async fn store(
        self: &Arc<Self>,
        payload: Payload,
        protocol: Protocol,
        permit: Permit,
    ) -> Result<Taken, Refusal> {
        let task = tokio::spawn(self.clone().decode_and_append(payload, protocol, permit));
        match task.await {
            Ok(result) => result,
            Err(_) => {
                // The panic's own message went to the log through the panic hook.
                self.stats.panicked();
                tracing::error!("an export was given up because storing it panicked");
                Err(Error::internal("storing the export failed unexpectedly").into())
            }
        }
    }

    async fn decode_and_append(
        self: Arc<Self>,
        payload: Payload,
        protocol: Protocol,
        mut permit: Permit,
    ) -> Result<Taken, Refusal> {
        let signal = payload.signal;
        let decoded = self.decode(&payload, &permit).await?;
        self.stats.decoded(protocol, signal, decoded.decoded_bytes);
        let Decoded { rows, rejected, notes, reasons, hash, .. } = decoded;
        permit.settle((payload.body.len() + rows.get_array_memory_size()) as u64);

        let receipt = Receipt::open(self.ledger.of(signal), rows.num_rows() as u64, rejected);
        let duplicate = if rows.num_rows() == 0 {
            false
        } else {
            match self.ingest.append(Batch { payload, rows, hash }).await {
                Ok(ack) => ack.duplicate,
                Err(error) => return Err(receipt.failed(error.into())),
            }
        };
        receipt.taken(duplicate);
        self.stats.rows_rejected(signal, &reasons);
        Ok(Taken { rejected, notes: notes.join("; "), duplicate })
    }

    /// Rows can take hundreds of times the room of their body; so none are made while those of others, which wait for
    /// the store, take more than there is.
    async fn decode(&self, payload: &Payload, permit: &Permit) -> Result<Decoded, Refusal> {
        if payload.encoding == Encoding::Identity && payload.body.len() <= INLINE {
            permit.within_limit().await?;
            return Ok(self.decoder.decode(payload)?);
        }
        let _turn = self.decoding.take(&payload.tenant).await;
        permit.within_limit().await?;
        let (decoder, payload) = (self.decoder.clone(), payload.clone());
        match tokio::task::spawn_blocking(move || decoder.decode(&payload)).await {
            Ok(decoded) => Ok(decoded?),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::unavailable("the collector is shutting down").into()),
        }
    }
}

/// Rows that were counted as received and wait for their outcome.
struct Receipt<'a> {
    account: &'a Account,
    rows: u64,
    rejected: u64,
    open: bool,
}

impl<'a> Receipt<'a> {
    fn open(account: &'a Account, rows: u64, rejected: u64) -> Self {
        account.received(rows + rejected);
        Receipt { account, rows, rejected, open: true }
    }

    fn taken(mut self, duplicate: bool) {
        self.open = false;
        if duplicate {
            self.account.duplicates(self.rows);
        } else {
            self.account.stored(self.rows);
        }
        self.account.rejected(self.rejected);
    }

    /// The answer covers all rows, also those that would have been left out.
    fn failed(mut self, refusal: Refusal) -> Refusal {
        self.open = false;
        let all = self.rows + self.rejected;
        if refusal.is_retryable() {
            self.account.refused(all);
        } else {
            self.account.rejected(all);
        }
        refusal
    }
}

impl Drop for Receipt<'_> {
    fn drop(&mut self) {
        if self.open {
            // A panic, which the client is told as UNAVAILABLE.
            self.account.refused(self.rows + self.rejected);
        }
    }
}
