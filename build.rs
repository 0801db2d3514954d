//! How the released program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // A position-independent program has 200 KB of pointers that are filled in at each start, and are then each process's own:
    // half of all the memory a shim takes, and a fifth of a millisecond. The price is that the program itself lies at a fixed
    // address; libraries, heap and stacks do not.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bin=mcp=-no-pie");
    }
}
