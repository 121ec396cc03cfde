module example.com/ko-app

go 1.26.0
