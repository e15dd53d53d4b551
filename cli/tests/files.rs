//! Files of numbers and exchanges as users have them: what is imported, and what is reported about the rest.

mod program;

use program::{Folder, HEADER, Said, is_there, redacted, refused, two_accounts};

/// Imports a file of numbers.
fn import(folder: &Folder, text: &str, more: &[&str]) -> Said {
    folder.onhook_reading(&[&["import", "-"], more].concat(), text.as_bytes())
}

/// Checks that a file is refused because of one line.
fn bad_line(said: &Said, line: u32, why: &str) {
    assert_eq!((said.code, said.answer.as_str()), (1, "nothing imported, 1 line is bad\n"), "{said:?}");
    let wanted = format!("line {line}: ");
    assert!(said.remarks.starts_with(&wanted) && said.remarks.contains(why), "{wanted}{why}: {said:?}");
}

#[test]
fn a_bad_line_is_named_by_where_its_record_begins() {
    let folder = two_accounts();
    for end in ["\n", "\r\n", "\r"] {
        for (lines, line) in [
            (&["number", "5405550190", "bad"][..], 3),
            (&["number", "5405550190", "", "", "bad"], 5),
            (&["", "number", "5405550190", "bad"], 4),
            (&["number", "", "bad"], 3),
            (&["number", "\"5405550190", "\"", "bad"], 4),
            (&["number", "\"bad", "", "worse\"", "5405550190"], 2),
        ] {
            let text = lines.join(end) + end;
            let said = import(&folder, &text, &[]);
            bad_line(&said, line, "number \"");
        }
        for (lines, line) in [
            (&["npa_nxx,state,rate_center,city", "212555,NY,A,", "bad,NY,A,"][..], 3),
            (&["npa_nxx,state,rate_center,city", "", "212555,NY,A,", "", "bad,NY,A,"], 5),
            (&["npa_nxx,state,rate_center,city", "212555,NY,A,\"", "\"", "bad,NY,A,"], 4),
        ] {
            let text = lines.join(end) + end;
            let said = folder.onhook_reading(&["import-exchanges", "-"], text.as_bytes());
            bad_line(&said, line, "npa_nxx \"bad\"");
        }
    }
    bad_line(&import(&folder, "number\r\n5405550190\r\nbad", &[]), 3, "number \"bad\"");
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_reported() {
    let folder = two_accounts();
    let lines = "5405550190\n".repeat(30_000);
    let said = import(&folder, &format!("number\n5405550191\n\"540\n{lines}"), &[]);
    bad_line(&said, 3, "is a quotation mark not closed?");
    let said = import(&folder, &format!("number\n5405550191\n\"540\n{}", &lines[..70_000]), &[]);
    bad_line(&said, 3, "is a quotation mark not closed?");
}

#[test]
fn numbers_that_a_spreadsheet_has_changed_are_reported() {
    let folder = two_accounts();
    for text in ["5.41E+09", "5405550110.0", "'+15405550111"] {
        let said = import(&folder, &format!("number\n{text}\n"), &[]);
        bad_line(&said, 2, "a spreadsheet has changed the number: format the column as text");
    }
}

#[test]
fn a_byte_order_mark_is_fine() {
    let folder = two_accounts();
    let said = import(&folder, "\u{feff}number\n5405550110\n", &[]);
    assert_eq!((said.code, said.answer.as_str()), (0, "1 number imported, 0 lines refused\n"), "{said:?}");
    let said = import(&folder, "\u{feff}\"number\"\n5405550111\n", &[]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_number_twice_in_a_file_and_one_in_the_store_are_reported_apart() {
    let folder = two_accounts();
    let said = import(&folder, "number\n5405550110\n\n5405550111\n(540) 555-0110\n", &[]);
    bad_line(&said, 5, "+15405550110 stands twice, first on line 2\n");
    let said = import(&folder, "number\n5405550110\n", &[]);
    assert_eq!(said.code, 0);
    bad_line(&import(&folder, "number\n5405550110\n", &[]), 2, "+15405550110 is here already\n");
    let twice = b"npa_nxx,state,rate_center\n540555,VA,ROANOKE\n540555,VA,SALEM\n";
    let said = folder.onhook_reading(&["import-exchanges", "-"], twice);
    bad_line(&said, 3, "exchange 540555 stands twice, first on line 2\n");
}

#[test]
fn a_name_of_several_lines_or_with_a_formula_is_refused_everywhere() {
    let folder = two_accounts();
    let long = "A".repeat(51);
    for (name, why) in [
        ("=1+1", "begins with none of = @ + -"),
        ("@SUM(A1)", "begins with none of = @ + -"),
        ("+1", "begins with none of = @ + -"),
        ("-1", "begins with none of = @ + -"),
        ("A\u{7}B", "no control characters"),
        ("A\nB", "no control characters"),
        (&long, "1 to 50 characters"),
    ] {
        let said = import(&folder, &format!("number,rate_center,region\n5405550110,\"{name}\",VA\n"), &[]);
        bad_line(&said, 2, why);
        let lines = format!("npa_nxx,state,rate_center,city\n540555,VA,\"{name}\",\n");
        bad_line(&folder.onhook_reading(&["import-exchanges", "-"], lines.as_bytes()), 2, why);
        let lines = format!("npa_nxx,state,rate_center,city\n540555,VA,A,\"{name}\"\n");
        bad_line(&folder.onhook_reading(&["import-exchanges", "-"], lines.as_bytes()), 2, why);
        let named = format!("--name={name}");
        let no = "onhook: A value is not allowed: ";
        // A site's name has letters, digits, dots, dashes and spaces, as the API says.
        if name != "-1" {
            refused(&folder.onhook(&["admin", "site", "create", "--account", "7", &named]), no);
        }
        refused(&folder.onhook(&["admin", "peer", "create", "--account", "7", "--site", "3", &named]), no);
        if name != long {
            refused(&folder.onhook(&["admin", "account", "create", "8", &named]), why);
        }
    }
}

#[test]
fn an_export_never_has_a_formula() {
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let said = import(&folder, "number,rate_center,region\n5405550110,ROANOKE,VA\n", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    let database = std::path::Path::new(&folder.data()).join("onhook.db");
    let connection = rusqlite::Connection::open(database).expect("a database");
    connection
        .execute("UPDATE area SET name = replace(name, 'ROANOKE', '=1+1')", [])
        .expect("it can be changed");
    drop(connection);
    assert!(folder.done(&["export"]).contains("5405550110,Available,,,,'=1+1,VA,"));
}

#[test]
fn numbers_and_states_are_read_as_people_write_them() {
    let folder = two_accounts();
    let text = "number,state,account\n(540) 555-0102,available,\n540-555-0103,INSERVICE,7\n\
                540.555.0104,inService,7\n+1 540 555 0105,protected,7\n";
    let said = import(&folder, text, &[]);
    assert_eq!((said.code, said.answer.as_str()), (0, "4 numbers imported, 0 lines refused\n"), "{said:?}");
    let rows = "5405550102,Available,,,,,VA,,,,\n5405550103,InService,7,3,,,VA,,,,\n\
                5405550104,InService,7,3,,,VA,,,,\n5405550105,Protected,7,,,,VA,true,,,\n";
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n{rows}"));
}

#[test]
fn an_aging_number_whose_release_is_past_needs_a_flag() {
    let folder = two_accounts();
    let text = "number,state,former_account,release_at\n5405550110,Aging,7,2020-01-01T00:00:00Z\n";
    let why = "release_at 2020-01-01T00:00:00.000Z is past, so that the number would be released at once \
               (--past-releases takes it)\n";
    bad_line(&import(&folder, text, &[]), 2, why);
    let said = import(&folder, text, &["--past-releases"]);
    assert_eq!((said.code, said.answer.as_str()), (0, "1 number imported, 0 lines refused\n"), "{said:?}");
}

#[test]
fn bad_lines_are_grouped_before_the_last_line() {
    let folder = two_accounts();
    let text = "number,state,account\n1,,\n5405550110,Asleep,\n1,,\n5405550111,InService,8\n1,,\n1,,\n\
                5405550112,InService,9\n5405550113,,\n";
    let said = import(&folder, text, &["--partial"]);
    assert_eq!((said.code, said.answer.as_str()), (1, "1 number imported, 7 lines refused\n"));
    insta::assert_snapshot!("grouped", said.remarks);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let Some(new) = Folder::on_disk() else { return };
    let good = "number\n5405550110\n";
    let would = "dry run, nothing is written: 1 number imported, 0 lines refused\n";
    assert_eq!(
        import(&new, good, &["--dry-run"]),
        Said { code: 0, answer: would.into(), remarks: String::new() }
    );
    let exchanges = b"npa_nxx,state,rate_center\n540555,VA,ROANOKE\n";
    let would_exchange = "dry run, nothing is written: 1 exchange imported\n";
    let said = new.onhook_reading(&["import-exchanges", "-", "--dry-run"], exchanges);
    assert_eq!((said.code, said.answer.as_str()), (0, would_exchange), "{said:?}");
    assert!(!is_there(new.data()), "a folder was made");

    let folder = two_accounts();
    assert_eq!(import(&folder, good, &["--dry-run"]).answer, would);
    let said = folder.onhook_reading(&["import-exchanges", "-", "--dry-run"], exchanges);
    assert_eq!((said.code, said.answer.as_str()), (0, would_exchange), "{said:?}");
    let said = import(&folder, "number\n5405550110\nbad\n", &["--dry-run"]);
    let refused = "dry run, nothing is written: nothing imported, 1 line is bad\n";
    assert_eq!((said.code, said.answer.as_str()), (1, refused), "{said:?}");
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n"));
    let clean = "0 numbers, 8 events, 0 orders: nothing is wrong\n";
    assert_eq!(folder.done(&["check", "--deep"]), clean);
    assert_eq!(import(&folder, good, &[]).answer, "1 number imported, 0 lines refused\n");
    // The exchange was not stored, so the area is the area code's.
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n5405550110,Available,,,,,VA,,,,\n"));
}

#[test]
fn a_number_that_has_left_is_taken_back_with_its_history() {
    let folder = two_accounts();
    assert_eq!(import(&folder, "number,state\n5405550110,Removed\n", &[]).code, 0);
    let back = "number,state,account\n5405550110,InService,7\n5405550111,,\n";
    let said = import(&folder, back, &[]);
    let answer = "1 number imported, 1 number taken back, 0 lines refused\n";
    assert_eq!(said, Said { code: 0, answer: answer.into(), remarks: String::new() });
    insta::assert_snapshot!("explain_restored", redacted(&folder.done(&["explain", "5405550110"])));
    assert_eq!(folder.done(&["check", "--deep"]), "2 numbers, 10 events, 0 orders: nothing is wrong\n");
    bad_line(&import(&folder, "number\n5405550110\n", &[]), 2, "+15405550110 is here already");
    assert_eq!(folder.onhook(&["explain", "5405550110", "--json"]).code, 0);
}
