//! The documents that tests send, with defaults for everything that a test is not about.

/// A disconnect order with a name.
pub(crate) fn disconnect(numbers: &[&str]) -> String {
    disconnect_with("<name>training run</name>", numbers, "")
}

/// A disconnect order: the elements before its type, its numbers, the elements after their list.
pub(crate) fn disconnect_with(names: &str, numbers: &[&str], behind: &str) -> String {
    format!(
        "<DisconnectTelephoneNumberOrder>{names}<DisconnectTelephoneNumberOrderType>{}{behind}\
         </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>",
        list(numbers)
    )
}

/// A number order for existing numbers with a name.
pub(crate) fn order(site: u32, numbers: &[&str]) -> String {
    order_with(&format!("<SiteId>{site}</SiteId>"), numbers)
}

/// A number order for existing numbers: its elements other than its name and its numbers.
pub(crate) fn order_with(more: &str, numbers: &[&str]) -> String {
    format!(
        "<Order><Name>back again</Name><ExistingTelephoneNumberOrderType>{}\
         </ExistingTelephoneNumberOrderType>{more}</Order>",
        list(numbers)
    )
}

/// A number order that searches: the form's first word, the form's fields, and whether it may wait.
pub(crate) fn search(site: u32, form: &str, fields: &str, back_order: bool) -> String {
    let form = format!("{form}SearchAndOrderType");
    format!(
        "<Order><Name>some of these</Name><BackOrderRequested>{back_order}</BackOrderRequested>\
         <{form}>{fields}</{form}><SiteId>{site}</SiteId></Order>"
    )
}

/// An order that moves numbers to a site.
pub(crate) fn move_order(site: u32, numbers: &[&str]) -> String {
    let numbers: String =
        numbers.iter().map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>")).collect();
    format!(
        "<MoveTnsOrder><CustomerOrderId>mine</CustomerOrderId><SiteId>{site}</SiteId>\
         <TelephoneNumbers>{numbers}</TelephoneNumbers></MoveTnsOrder>"
    )
}

/// A reservation of a number.
pub(crate) fn reservation(number: &str) -> String {
    format!("<Reservation><ReservedTn>{number}</ReservedTn></Reservation>")
}

/// Numbers to be looked up.
pub(crate) fn lookup(numbers: &[&str]) -> String {
    let numbers: String = numbers.iter().map(|number| format!("<Tn>{number}</Tn>")).collect();
    format!("<TnList>{numbers}</TnList>")
}

/// A note by a user.
pub(crate) fn note(user: &str, text: &str) -> String {
    format!("<Note><UserId>{user}</UserId><Description>{text}</Description></Note>")
}

fn list(numbers: &[&str]) -> String {
    let numbers: String =
        numbers.iter().map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>")).collect();
    format!("<TelephoneNumberList>{numbers}</TelephoneNumberList>")
}
