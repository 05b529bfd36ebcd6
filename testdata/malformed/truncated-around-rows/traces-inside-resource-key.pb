
÷


serv