module choria-broker/tests/goverify

go 1.26
