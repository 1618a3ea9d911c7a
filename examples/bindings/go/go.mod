module example.com/sslcv

go 1.18
