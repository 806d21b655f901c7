//! Why a cost cannot be computed.

use crate::catalog::Currency;

/// What makes no sense in a question about money; each says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CostError {
    /// A number outside of what its quantity can be.
    #[error("{found} is no {what}: give {want}")]
    OutOfRange {
        /// Which quantity.
        what: &'static str,
        /// What was given.
        found: f64,
        /// What it can be.
        want: &'static str,
    },
    /// Amounts that cannot be added or compared.
    #[error(
        "amounts in {} and {} cannot be added or compared: give all prices in one currency, converted on a \
         day that you name",
        .0.code(),
        .1.code()
    )]
    Currencies(Currency, Currency),
    /// A rent for a term that is paid by use.
    #[error("a reserved rent is paid whether used or not: give it the billing `whole`")]
    ReservedByUse,
    /// More power idle than busy.
    #[error("a machine draws no more idle ({idle} W) than busy ({busy} W): exchange the two numbers")]
    IdleAboveBusy {
        /// Watts without work.
        idle: f64,
        /// Watts at work.
        busy: f64,
    },
    /// The question needs what the offer lacks.
    #[error("{what} is asked for, and the offer does not say {lacks}: add it, or ask something else")]
    Missing {
        /// What was asked.
        what: &'static str,
        /// What would answer it.
        lacks: &'static str,
    },
    /// More uncertain factors than corners can be tried of.
    #[error("{0} factors that swing have too many corners: keep the {max} that matter most", max = super::swing::MOST)]
    TooManySwings(usize),
}
