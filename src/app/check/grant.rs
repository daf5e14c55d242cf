//! The commands that grant what is missing.

use crate::kafka::Connection;

/// Returns the command that grants the connection's user `right`, such as `--operation Read --group billing`.
pub(super) fn command(connection: &Connection, right: &str) -> String {
    let server = connection.bootstrap_servers.join(",");
    let user = connection.properties.get("sasl.username");
    let user = word(user.map_or("NAME", String::as_str));
    format!(
        "`kafka-acls.sh --bootstrap-server {server} --add --allow-principal User:{user} {right}`"
    )
}

/// Returns the right to do `operation` on a group or topic, as `kafka-acls.sh` takes it.
pub(super) fn right(operation: &str, resource: &str, name: &str) -> String {
    format!("--operation {operation} --{resource} {}", word(name))
}

/// Returns a name as a shell takes it for one word.
fn word(name: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "._-".contains(char);
    if !name.is_empty() && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_the_user_and_no_secret() {
        let mut connection = Connection::plain(["kafka-1:9092"]);
        let secret = ("sasl.password".to_owned(), "hunter2".to_owned());
        let user = ("sasl.username".to_owned(), "lagwatch".to_owned());
        connection.properties.extend([secret, user]);
        assert_eq!(
            command(&connection, "--operation Read --group billing"),
            "`kafka-acls.sh --bootstrap-server kafka-1:9092 --add --allow-principal User:lagwatch --operation Read --group billing`"
        );
    }

    #[test]
    fn a_name_is_one_word_whatever_is_in_it() {
        for (name, expected) in [
            ("task-created", "task-created"),
            ("*", "'*'"),
            ("the bill's", r"'the bill'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(word(name), expected);
        }
    }
}
