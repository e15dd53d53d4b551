//! Settings, with who has set them.

use onhook_core::setting::{Setting, Values};
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// Returns a setting as it holds. `set_by` is who has set it, `set_at` when an operator has.
#[must_use]
pub fn setting(
    setting: Setting,
    values: &Values,
    set_by: &str,
    set_at: Option<Timestamp>,
    changeable: bool,
) -> Value {
    json!({
        "key": setting.word(),
        "value": values.get(setting),
        "set_by": set_by,
        "set_at": set_at.map(|at| at.to_string()),
        "changeable": changeable,
        "warning": values.warning(setting),
    })
}
